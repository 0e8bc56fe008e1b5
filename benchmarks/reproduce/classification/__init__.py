"""Classification of tiles from what codecs make of them, without decoding and with it."""
