"""The paper's claims, and what recorded differences say of them. Standard library only."""

import dataclasses
import re

METRIC = "recall@20"  # by which claims of rankings are decided: the metric that models are chosen by


@dataclasses.dataclass
class Claim:
    table: str
    text: str
    above: str  # the name of a row, as a regular expression
    below: str
    metric: str = METRIC


CLAIMS = (
    Claim("ordering", "AlphaRec ranks better than the linear mapping", "alpharec", "linear"),
    Claim("ordering", "the linear mapping ranks better than emb-knn", "linear", "emb-knn"),
    Claim("ordering", "emb-knn ranks better than random", "emb-knn", "random"),
    Claim("ordering", "AlphaRec ranks better than popularity", "alpharec", "popularity"),
    Claim("ordering", "AlphaRec ranks better than LightGCN", "alpharec", "lightgcn"),
    Claim("ordering", "AlphaRec ranks better than MF", "alpharec", "mf"),
    Claim("ablations", "the MLP helps", "alpharec", "w/o MLP"),
    Claim("ablations", "graph convolution helps", "alpharec", "w/o GCN"),
    Claim("ablations", "the contrastive loss helps", "alpharec", "w/o CL"),
    Claim("language", "AlphaRec needs the items' own vectors, not shuffled ones", "as given", "rows shuffled"),
    Claim("language", "AlphaRec needs the items' own vectors, not random ones", "as given", "random vectors"),
    Claim("zero_shot", "zero-shot, AlphaRec ranks better than emb-knn", "(trained on|joint:) .+", "emb-knn"),
    Claim("zero_shot", "zero-shot, AlphaRec ranks better than random", "(trained on|joint:) .+", "random"),
    Claim("zero_shot", "trained on several datasets together it is better than on the better one of them", "joint: .+",
          "trained on .+"),
    Claim("intention", "a query of alpha between 0 and 1 brings the wanted item up", "best between.+", "alpha = 0", "hr@5"),
    Claim("intention", "alpha between 0 and 1 is better than the query alone", "best between.+", "alpha = 1", "hr@5"),
)


def verdict(interval):
    """Of a difference that is claimed to be above 0, by its 95% interval alone."""
    low, high = interval
    return "held" if low > 0 else "did not hold" if high < 0 else "unclear"


def found_of(claim, record):
    """(above, below, difference, interval) of every recorded difference that the claim is about."""
    found = []
    for each in record["differences"]:
        if each["metric"] != claim.metric:
            continue
        for of, base, sign in ((each["of"], each["from"], 1), (each["from"], each["of"], -1)):
            if re.fullmatch(claim.above, of) and re.fullmatch(claim.below, base):
                found.append((of, base, sign * each["mean"], sorted(sign * end for end in each["interval"])))
    return found
