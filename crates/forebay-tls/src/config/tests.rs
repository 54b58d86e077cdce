mod connections;
mod handshake;
