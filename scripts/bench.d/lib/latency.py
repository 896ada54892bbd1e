"""Latencies of several runs of the generator as one distribution."""
import collections


class Latencies:
    """Counts by bucket. The generator's buckets have the same bounds in every run and are narrower than 0.1 % of their
    values, so runs can be added up, and a percentile of the sum is that of all their requests."""

    def __init__(self, document=None):
        self.counts = collections.Counter()
        for bucket in document["DurationHistogram"]["Data"] if document else []:
            self.counts[(bucket["Start"] + bucket["End"]) / 2] += bucket["Count"]

    def __add__(self, other):
        both = Latencies()
        both.counts = self.counts + other.counts
        return both

    def percentile(self, percent):
        """Seconds that so many of a hundred requests did not exceed."""
        wanted = max(1, -(-self.counts.total() * percent // 100))
        for value in sorted(self.counts):
            wanted -= self.counts[value]
            if wanted <= 0:
                return value
        return None
