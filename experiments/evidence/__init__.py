"""Evidence packs: one file with the plan, its rule, the sums and their hashes, from which anybody judges again."""

from experiments.evidence.packing import FORMAT, EvidencePack, pack
from experiments.evidence.recomputing import Recomputed, read_pack, recompute

__all__ = ["FORMAT", "EvidencePack", "Recomputed", "pack", "read_pack", "recompute"]
