"""Records of results as tables in Markdown."""

import statistics

NOTHING = "*Not measured yet.*\n"


def table(head, rows):
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def spread(values, digits=3):
    """Return mean and standard deviation as text."""
    deviation = statistics.pstdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.{digits}f} ± {deviation:.{digits}f}"


def sources(contents):
    """Say where the figures come from: commands, dates, machines, versions."""
    commands = {}
    for content in contents:
        facts = content["machine"]
        versions = ", ".join(f"{k} {v}" for k, v in facts["versions"].items())
        instructions = ", ".join(facts["instructions"]) or "no wide vectors"
        machine = (
            f"{facts['processor']} ({facts['cores']} cores, {instructions}), "
            f"{facts['memory_gib']} GiB, {facts['system']}, Python {facts['python']}, "
            f"{versions}"
        )
        dates = sorted(record["date"][:10] for record in content["records"])
        when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
        commands.setdefault(machine, []).append(f"- `{content['command']}` ({when})")
    text = ""
    for machine, lines in commands.items():
        text += f"\nOn {machine}:\n\n" + "\n".join(dict.fromkeys(lines)) + "\n"
    return text


def records_of(contents, **wanted):
    """Return the records whose key holds these values."""
    return [
        record
        for content in contents
        for record in content["records"]
        if all(record["key"].get(name) == value for name, value in wanted.items())
    ]


def distinct(records, name):
    """Return the values of a key in the order of their first appearance."""
    return list(dict.fromkeys(record["key"][name] for record in records))


def over_units(records, value):
    """Average over seeds for each unit; return those means and the seeds' own."""
    units, seeds = {}, {}
    for record in records:
        number = value(record["values"])
        units.setdefault(record["key"]["unit"], []).append(number)
        seeds.setdefault(record["key"]["seed"], []).append(number)
    means = [statistics.fmean(numbers) for numbers in units.values()]
    return means, [statistics.fmean(numbers) for numbers in seeds.values()]


def windows_text(records, name):
    """Return the range of the number of windows."""
    numbers = [record["values"][name] for record in records]
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"
