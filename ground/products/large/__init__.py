"""Large: GeoTIFFs that are never whole in memory."""
