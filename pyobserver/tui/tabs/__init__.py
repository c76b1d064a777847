"""The tabs, and the screens that are opened from them."""
