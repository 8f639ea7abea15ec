"""Arrays → arrays: the models and the only home of ONNX Runtime.

manifest.py    which models there are, and that their files are what they should be
session.py     one loaded model
preprocess.py  images laid out as a model's input wants them
runtime.py     whether ONNX Runtime is installed, once
"""
