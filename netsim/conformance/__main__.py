"""The new process of ``netsim.conformance.new_process``."""

from netsim.conformance.new_process import encode_as_told

if __name__ == "__main__":
    encode_as_told()
