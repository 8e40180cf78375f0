"""Object stores behind one interface: local folder, S3, memory."""
