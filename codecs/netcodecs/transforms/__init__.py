"""Analysis and synthesis transforms, hyperpriors and their parts: what turns images into latents and back."""
