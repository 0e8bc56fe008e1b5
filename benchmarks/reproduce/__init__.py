"""Tables of papers, measured again: the published figures beside ours."""
