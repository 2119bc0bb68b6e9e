"""What several codecs share: integers and checksums in packets, rate search, devices, weights that ship."""
