"""How active something is: the share of looks at it in which it had moved since the last."""

_MOST = 64  # looks that count; the older ones weigh half then


def note_look(table, row, has_moved):
    """Count one look at what a row stands for."""
    row.checks += 1
    row.moves += has_moved
    if row.checks >= _MOST:
        row.checks, row.moves = row.checks // 2, row.moves // 2
    share = row.moves / row.checks
    if not abs(share - row.activity) < 0.02:  # also when it was not a number
        row.activity = share
        table.touch(row)
