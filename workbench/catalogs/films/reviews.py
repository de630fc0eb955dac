"""What the simulated viewers say: short reviews put together from phrases, a film's attributes and the context."""

from collections.abc import Mapping, Sequence

import numpy as np

PHRASES = {  # genre: what a review calls the film, what it praises, what it complains about
    "Action": ("action film", "the chases", "the noise"),
    "Adventure": ("adventure", "the sense of distance", "the detours"),
    "Animation": ("animated film", "the drawing", "the songs"),
    "Children": ("film for the family", "the warmth", "the moral"),
    "Comedy": ("comedy", "the timing", "the second-hand jokes"),
    "Crime": ("crime film", "the planning", "the body count"),
    "Documentary": ("documentary", "the patience", "the voice-over"),
    "Drama": ("drama", "the faces", "the long silences"),
    "Fantasy": ("fantasy", "the creatures", "the rules nobody explains"),
    "Film-Noir": ("noir", "the shadows", "the hard talk"),
    "Horror": ("horror film", "the dread", "the cheap shocks"),
    "Musical": ("musical", "the dancing", "the ballads"),
    "Mystery": ("mystery", "the clues", "the solution"),
    "Romance": ("love story", "the two leads", "the misunderstandings"),
    "Sci-Fi": ("science fiction film", "the ideas", "the explaining"),
    "Thriller": ("thriller", "the tension", "the twists"),
    "War": ("war film", "the fear", "the speeches"),
    "Western": ("western", "the landscapes", "the shoot-outs"),
}
OPENINGS = {  # first sentences for ratings 1-2, 3 and 4-5
    "low": (
        "Not for me", "I gave up on {complaint} halfway", "{complaint} wore me out", "Too long for {a_kind}",
        "I kept looking at the clock", "Somebody else may enjoy {complaint}", "What a slog",
        "I wanted to like this {kind} and could not", "{director} has done better", "Even {praise} could not save it",
        "{when}, and I still fell asleep",
    ),
    "middle": (
        "Fine {when}, forgotten by breakfast", "{praise} carried me, {complaint} did not", "Decent for {a_kind}",
        "Half of it works", "Worth it for {praise}", "I liked {praise} more than the story", "Watched it {when}",
        "Solid {kind} from the {era}", "Neither {praise} nor {complaint} stayed with me", "It passes the time",
    ),
    "high": (
        "I loved {praise}", "Worth seeing for {praise} alone", "Exactly the {kind} I hoped for",
        "What {director} does with {praise} is a joy", "Saw it {when} and could not stop talking",
        "One of the best from the {era}", "Five minutes in I was hooked", "Go in cold", "{praise}, above all",
        "I would watch this {kind} again tomorrow", "Nobody told me {a_kind} could do this", "Perfect {when}",
        "I had forgotten how good {a_kind} can be", "Everything works here, {praise} most of all", "Quietly brilliant",
        "{director} never lost me", "Came for {praise}, stayed for the rest", "My favourite so far this {season}",
    ),
}  # fmt: skip
CLOSINGS = {
    "low": (
        "Next time I pick something else", "I skipped the last part", "The friends I asked felt the same",
        "Maybe it needs another mood", "My patience ended with {complaint}", "Another {kind} would have been wiser",
    ),
    "middle": (
        "No regrets", "Good company {when}", "I may give {director} another try",
        "With less of {complaint} I would have loved it", "The {era} made many like it", "My neighbour liked it better",
    ),
    "high": (
        "More {director} for me, please", "Even {complaint} did not bother me", "I am still thinking about {praise}",
        "It felt right {when}", "The {era} knew how to do this", "My whole household agreed", "Recommended to anyone",
    ),
}  # fmt: skip


EVENINGS = {"weekday": "weeknight", "weekend": "weekend evening"}
AFTERNOONS = {"weekday": "weekday afternoon", "weekend": "weekend afternoon"}


def write_review(film: Mapping, *, rating: int, context: Mapping, stream: np.random.Generator) -> str:
    """A simulated review of one or two sentences that fits the rating, a genre of the film and the context."""
    genres = [name for name in film["genres"].split("|") if name in PHRASES]
    kind, praise, complaint = PHRASES[pick(genres, stream)] if genres else ("film", "the story", "the length")
    days = EVENINGS if context["time_of_day"] == "evening" else AFTERNOONS
    slots = {
        "kind": kind,
        "a_kind": add_article(kind),
        "praise": praise,
        "complaint": complaint,
        "director": film["director"].split("|")[0],
        "era": f"{film['year'] // 10 * 10}s",
        "season": context["season"],
        "when": "on " + add_article(f"{context['season']} {days[context['day_type']]}"),
    }
    band = "low" if rating <= 2 else "middle" if rating == 3 else "high"
    sentences = [pick(OPENINGS[band], stream)] + ([pick(CLOSINGS[band], stream)] if stream.random() < 0.5 else [])
    filled = [sentence.format(**slots) for sentence in sentences]
    return " ".join(text[0].upper() + text[1:] + "." for text in filled)


def pick(options: Sequence[str], stream: np.random.Generator) -> str:
    """One option, all equally likely."""
    return options[int(stream.random() * len(options))]


def add_article(words: str) -> str:
    """Words with "a" or "an" in front, by their first letter."""
    return ("an " if words[0] in "aeiou" else "a ") + words
