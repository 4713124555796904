"""What networks run on: sessions of ONNX Runtime, its kernels, the cores of this process, and what files may be read."""
