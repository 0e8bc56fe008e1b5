"""The flight side of skybook: images in, segments out, each decodable alone, at any rate.

Its flagship is a lapped codec of integers that runs on numpy; ARCHITECTURE.md lists what flies.
"""
