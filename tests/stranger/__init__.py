"""A decoder that knows SPEC.md alone: it proves that the page is enough.

With numpy and the standard library it reads streams, bare or in packets, down to symbols and the
linear image; it imports nothing of the project. It is slow, and believes what it reads.
"""
