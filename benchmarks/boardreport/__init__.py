"""Board report: one page with what is known and measured of boards."""
