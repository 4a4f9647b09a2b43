-- The server's own address; NULL over a Unix socket.
SELECT host(inet_server_addr()) AS server_address, inet_server_port() AS server_port
