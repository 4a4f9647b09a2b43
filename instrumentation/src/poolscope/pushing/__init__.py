"""The pusher's thread: it reads what hooks recorded, encodes it and sends it."""
