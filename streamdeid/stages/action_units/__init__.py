"""Where action units come from: an OpenFace process, or the blendshapes of our own landmarks."""
