"""Watch: a station's service, from what arrives to products, whatever happens in between."""
