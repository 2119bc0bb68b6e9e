"""CompressAI's models as codecs, with the user's checkpoints."""
