"""The folder that is put on PYTHONPATH to guard every Python below; see `sitecustomize`."""
