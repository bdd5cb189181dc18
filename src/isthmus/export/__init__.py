"""Foreign policies turned into ONNX and a manifest, without running what is in their files."""
