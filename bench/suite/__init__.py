"""The benchmarks of whole programs. core.py says how they run, results.py what becomes of the figures."""
