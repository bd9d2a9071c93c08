"""A synthetic world of films, users and their history, with the truth kept apart.

Public API::

    from data.synthetic import WorldSpec, generate, providers, stream, load_benchmark

    world = generate(WorldSpec(films=200, users=50, seed=1))
    world.films, world.users, world.interactions        # frames by the contract in workspace.columns
    world.truth.preference(np.arange(10))               # (10, 200) what these users truly like

The generator imports nothing of the recommender, and the recommender never imports this package.
"""

from data.synthetic.benchmark import BENCHMARK, Benchmark, load_benchmark
from data.synthetic.hostile import hostile_films
from data.synthetic.oracle import OracleReport, measure
from data.synthetic.providers import providers
from data.synthetic.spec import WorldSpec
from data.synthetic.streaming import StreamReport, stream
from data.synthetic.truth import Truth
from data.synthetic.world import World, generate

__all__ = [
    "BENCHMARK",
    "Benchmark",
    "OracleReport",
    "StreamReport",
    "Truth",
    "World",
    "WorldSpec",
    "generate",
    "hostile_films",
    "load_benchmark",
    "measure",
    "providers",
    "stream",
]
