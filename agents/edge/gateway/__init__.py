"""The gateway: where clients' payments come in over HTTP, and are answered once the log has them."""
