"""What `yanshao bench` measures: speed and memory, as ratios inside one run wherever that can be.

A figure of one machine says little about another; what two programs do with the same records, on the
same cores, in the same minutes, says something. So whatever has a peer is measured beside it, turn by
turn, and the ratio is the figure. `docs/bench.md` says for each figure what exactly is timed.

Each module measures one group; `registry.BENCHES` names them. A group returns `Row`s and prints nothing.
"""
