"""Make titanic_sample.csv: SYNTHETIC passengers in the shape of the public Titanic file. No person in it is real.

The counts are the published ones of the public file's 891 rows: survivors by sex and class, gaps in Age (by class),
Cabin and Embarked, relatives aboard. Ages and fares are drawn by class, around the published means and medians.
Everything else is made up. Run it from anywhere; the same bytes come out each time:

    python projects/titanic/data/make_sample.py
"""

import csv
import io
import math
import random
from pathlib import Path

SEED = 1912
TARGET = Path(__file__).with_name("titanic_sample.csv")
COLUMNS = "PassengerId Survived Pclass Name Sex Age SibSp Parch Ticket Fare Cabin Embarked".split()

SURVIVED_OF = {  # (sex, class): (survivors, passengers)
    ("female", 1): (91, 94),
    ("female", 2): (70, 76),
    ("female", 3): (72, 144),
    ("male", 1): (45, 122),
    ("male", 2): (17, 108),
    ("male", 3): (47, 347),
}
AGE_OF = {1: (38.2, 14.8), 2: (29.9, 14.0), 3: (25.1, 12.5)}  # class: mean, standard deviation in years
AGES_MISSING = {1: 30, 2: 11, 3: 136}
FARE_OF = {1: (60.3, 0.75), 2: (14.25, 0.5), 3: (8.05, 0.55)}  # class: median in pounds, spread of its logarithm
CABINS_KNOWN = {1: 176, 2: 16, 3: 12}
SIBSP = {0: 608, 1: 209, 2: 28, 3: 16, 4: 18, 5: 5, 8: 7}
PARCH = {0: 678, 1: 118, 2: 80, 3: 5, 4: 4, 5: 5, 6: 1}
EMBARKED = {"S": 644, "C": 168, "Q": 77, "": 2}


def spread(counts, chance):
    """Return each key as often as counted, in a drawn order."""
    values = [value for value, count in counts.items() for _ in range(count)]
    chance.shuffle(values)
    return values


def make():
    """Return the file's bytes."""
    chance = random.Random(SEED)
    people = [
        {"Sex": sex, "Pclass": pclass, "Survived": int(number < survivors)}
        for (sex, pclass), (survivors, passengers) in SURVIVED_OF.items()
        for number in range(passengers)
    ]
    chance.shuffle(people)
    relatives = zip(spread(SIBSP, chance), spread(PARCH, chance), spread(EMBARKED, chance))
    for number, (person, (siblings, parents, port)) in enumerate(zip(people, relatives), start=1):
        mean, deviation = AGE_OF[person["Pclass"]]
        median, width = FARE_OF[person["Pclass"]]
        title = "Mr." if person["Sex"] == "male" else chance.choice(["Mrs.", "Miss."])
        person |= {
            "PassengerId": number,
            "Name": f"Synthetic, {title} Passenger {number:03d}",
            "Age": min(80, max(1, round(chance.gauss(mean, deviation)))),
            "SibSp": siblings,
            "Parch": parents,
            "Ticket": f"S {chance.randrange(100000, 400000)}",
            "Fare": f"{min(512.3292, median * math.exp(chance.gauss(0, width))):.4f}",
            "Cabin": "",
            "Embarked": port,
        }
    for pclass in (1, 2, 3):
        of_class = [person for person in people if person["Pclass"] == pclass]
        for person in chance.sample(of_class, AGES_MISSING[pclass]):
            person["Age"] = ""
        for person in chance.sample(of_class, CABINS_KNOWN[pclass]):
            person["Cabin"] = f"{chance.choice('ABCDEF'[2 * pclass - 2 : 2 * pclass])}{chance.randrange(1, 130)}"
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(people)
    return text.getvalue().encode("utf-8")


if __name__ == "__main__":
    TARGET.write_bytes(make())
    print(f"{TARGET.name} written")
