"""What the figures do not say by themselves: remarks for the page, by row."""

from __future__ import annotations

_COLD = (
    "a step runs 58 Python functions in the link and 54 in the gateway, the bare transport about "
    "six. Called again and again such a function costs half a microsecond; called once in 40 ms it "
    "finds its code and data outside the caches and costs about four, on both sides alike. No "
    "stage stands out, so what would help is fewer functions, or waking up shortly before the "
    "question is due and going through the motions: tried in the gateway alone, that took 160 us "
    "off a step at 25 Hz"
)

REMARKS: dict[str, str] = {
    "stages": (
        "Medians of `action.timing`, in microseconds. `encode`: checking and writing the "
        "observation; `wire`: both ways, with the waking of two processes; `queue`: reading and "
        "checking in the gateway; `infer`: the policy; `decode`: reading, limits, ladder. `total` "
        "is the call as it sees itself, without Python's way in and out."
    ),
    "small": (
        "a step runs 112 Python functions, both sides together, each for half a microsecond; to "
        "come within 25 us of the bare transport it would have to do with half of them. The bar "
        "beside a websocket server was set when one took 450 to 550 us; with today's `websockets` "
        "it takes less than half of that, and a sixth of it would be less than C needs with one "
        "CPU each."
    ),
    "paced-25": f"{_COLD}. The same goes for the other paces.",
    "images": (
        "beyond the copies, which C makes too, it is what a small step costs, and 10 us or so for "
        "looking at the 700 numbers of the answer, in the gateway and again in the link."
    ),
    "many": (
        "beyond the copies it is looking at every number three times, which C does not: is the "
        "observation finite (on both sides, 197 000 numbers), is the action inside its limits "
        "(49 000)."
    ),
    "stopped": "negative is before the deadline: `act()` keeps 0.3 ms of it for its own return.",
    "start": (
        "a shell, then a Python that imports what `isthmus run` needs, then the program's own. It "
        "is paid once, before the program begins; a supervisor (`isthmus up`) pays it once for all "
        "of its processes."
    ),
    "sessions-64": (
        "of the 37 us that a request costs the gateway by itself, 13 are the inference of this "
        "small policy; answering many at once saves those and nothing else. The bar of 3 was set "
        "beside 100 us a request. The gateway's one thread is what limits the rate."
    ),
    "jitter": "the policy is the committed ONNX one, so this includes its inference, caches cold.",
}
