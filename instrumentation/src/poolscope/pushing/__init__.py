"""The pusher's thread: it reads the data that hooks recorded, encodes it and sends it."""
