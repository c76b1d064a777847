"""How active something is: the share of looks at it in which it had moved since the last."""

MOST = 64  # looks that count; the older ones weigh half then


def note_look(table, row, has_moved):
    """Count one look at what a row stands for, whose looks are its own (`since` counts them)."""
    row.since += 1
    row.moves += has_moved
    note_share(table, row, row.since)
    if row.since >= MOST:
        row.since, row.moves = row.since >> 1, row.moves >> 1


def note_share(table, row, looks):
    """Tell of the share of `looks` at which it had moved, from time to time: after 1, 2, 4 and so on."""
    if not looks & (looks - 1) and (row.moves or looks == 1):
        table.touch(row)
