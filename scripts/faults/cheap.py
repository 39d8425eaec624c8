"""Keys of runs that take a second, for campaigns and tests."""

# A ruler that costs milliseconds, and no pictures.
CHEAP = (
    "trainer.batch_size=16",
    "trainer.image_every=0",
    "measure=[wasserstein,neighbours]",
    "probe.steps=0",
    "estimator.every=5",
    "estimator.n=16",
    "estimator.final_n=16",
    "estimator.n_repeats=2",
    "estimator.final_n_repeats=2",
    "estimator.floor_n_repeats=2",
    "device=cpu",
    "execution.threads=1",
)
RING = ("data=ring", "network=mlp", "network.width=8", *CHEAP)
