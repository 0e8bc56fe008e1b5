"""HTML pages that need nothing but themselves: tables, bars and curves of results."""
