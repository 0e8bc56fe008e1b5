"""Link: lost packets and bit errors."""
