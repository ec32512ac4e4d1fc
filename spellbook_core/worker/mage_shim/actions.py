"""mage's transformer actions, in pandas. The frame that is given is never changed; a new one is returned."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from keyword import iskeyword
from typing import Any

from spellbook_core.worker.mage_shim.action_code import rows_of
from spellbook_core.worker.mage_shim.action_names import ActionType, Axis, ImputationStrategy
from spellbook_core.worker.mage_shim.failures import UnsupportedActionError

Action = Mapping[str, Any]

_CURRENCY = r"[$€¥₹元£,\s]|Rs|CAD"
"""What is taken out of an amount of money."""


def build_transformer_action(
    df: Any,
    action_type: ActionType | str,
    arguments: Iterable[str] | None = None,
    action_code: str = "",
    options: Mapping[str, Any] | None = None,
    axis: Axis | str = Axis.COLUMN,
    outputs: Sequence[Mapping[str, Any]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return an action as a value; `BaseAction(action).execute(df)` carries it out."""
    return {
        "action_type": ActionType(str(action_type)),
        "action_code": action_code,
        "action_arguments": list(arguments) if arguments is not None else [],
        "axis": Axis(str(axis)),
        "action_options": dict(options or {}),
        "outputs": list(outputs or []),
        **more,
    }


class BaseAction:
    """One action, ready to be carried out.

    Args:
        action: What `build_transformer_action` returned.
    """

    def __init__(self, action: Action) -> None:
        self.action = action

    def execute(self, df: Any, **options: Any) -> Any:
        """Return the table after the action.

        Raises:
            UnsupportedActionError: This kind, or a detail of it, is not offered. [SB-WRK-036]
        """
        kind = ActionType(str(self.action["action_type"]))
        if kind not in _DOERS:
            raise _unsupported(f"The action '{kind.value}'")
        return _DOERS[kind](df.copy(), self.action, **options)


def _unsupported(what: str) -> UnsupportedActionError:
    return UnsupportedActionError(
        f"{what} of mage's transformer actions is not offered.", hint="write the same in pandas, in this block."
    )


def _columns(action: Action) -> list[Any]:
    return list(action.get("action_arguments") or [])


def _options(action: Action) -> Mapping[str, Any]:
    return action.get("action_options") or {}


def _names(action: Action, default: Sequence[Any]) -> list[Any]:
    return [output["uuid"] for output in action.get("outputs") or []] or list(default)


def _aggregate(method: str) -> Callable[..., Any]:
    def aggregate(df: Any, action: Action, **options: Any) -> Any:
        columns, keys = _columns(action), list(_options(action).get("groupby_columns") or [])
        source = rows_of(_in_time(df, _options(action)), action.get("action_code") or "")
        for column, name in zip(columns, _names(action, [f"{column}_{method}" for column in columns]), strict=False):
            if keys:
                values = source.groupby(keys)[column].agg(_mode if method == "mode" else method).rename(name)
                df = df.drop(columns=name, errors="ignore").merge(values, left_on=keys, right_index=True, how="left")
            else:
                df[name] = _mode(source[column]) if method == "mode" else source[column].agg(method)
        return df

    return aggregate


def _in_time(df: Any, settings: Mapping[str, Any]) -> Any:
    """Return the rows whose `timestamp_feature_b` lies at most `window` seconds before `timestamp_feature_a`.

    A negative window reaches behind it instead; without these three settings all rows are meant.
    """
    import pandas as pd

    if not {"timestamp_feature_a", "timestamp_feature_b", "window"} <= settings.keys():
        return df
    until, at = (
        pd.to_datetime(df[settings[name]], format="mixed", utc=True)
        for name in ("timestamp_feature_a", "timestamp_feature_b")
    )
    window = settings["window"]
    return df[(until - at).dt.total_seconds().between(min(window, 0), max(window, 0))]


def _mode(values: Any) -> Any:
    found = values.mode()
    return found.iloc[0] if len(found) else None


def _add(df: Any, action: Action, **options: Any) -> Any:
    settings, columns = _options(action), _columns(action)
    name = _names(action, ["new_column"])[0]
    udf, value = settings.get("udf"), settings.get("value")
    arithmetic = {"addition": "add", "subtract": "sub", "multiply": "mul", "divide": "div"}
    if udf in arithmetic:
        result = df[columns[0]]
        for operand in [df[column] for column in columns[1:]] + ([] if value is None else [float(value)]):
            result = getattr(result, arithmetic[udf])(operand)
        df[name] = result
    elif udf == "constant":
        df[name] = value if value is not None else (columns or [None])[0]
    elif udf in {"lower_case", "upper_case"}:
        df[name] = getattr(df[columns[0]].str, udf.removesuffix("_case"))()
    elif udf == "string_replace":
        df[name] = df[columns[0]].str.replace(
            settings["pattern"], settings["replacement"], regex=settings.get("regex", True)
        )
    elif udf is None and action.get("action_code"):
        df[name] = df.eval(action["action_code"], engine="python")
    else:
        raise _unsupported(f"The new column by '{udf}'")
    return df


def _clean_names(df: Any, action: Action, **options: Any) -> Any:
    return df.rename(columns={column: clean_column_name(column) for column in _columns(action)})


def clean_column_name(name: object) -> str:
    """Return the name that mage makes of a column's; where mage would leave none, as of 한글, the name itself."""
    text = re.sub(r"[\s\-.]", "_", str(name).strip(" '\"_-"))
    text = re.sub(r"[^a-zA-Z_0-9]", "", text)
    if not text.strip("_"):
        return str(name)
    if text.isdigit():
        text = f"number_{text}"
    if iskeyword(text):
        text += "_"
    if re.fullmatch(r"[a-z]*([A-Z][a-z]*)+", text) and not text.isupper():
        text = "_".join(re.findall(r"^[a-z]+|[A-Z][a-z]*", text))
    return text.lower()


def _diff(df: Any, action: Action, **options: Any) -> Any:
    for column in _columns(action)[:1]:
        df[_names(action, [f"{column}_diff"])[0]] = df[column].diff()
    return df


def _drop_duplicates(df: Any, action: Action, **options: Any) -> Any:
    keep = _options(action).get("keep", "last")
    return df.drop_duplicates(subset=_columns(action) or None, keep=keep)


def _filter(df: Any, action: Action, **options: Any) -> Any:
    return rows_of(df, action.get("action_code") or "")


def _impute(df: Any, action: Action, **options: Any) -> Any:
    columns, settings = _columns(action), _options(action)
    strategy, value = settings.get("strategy"), settings.get("value")
    blank = df[columns].replace(r"^\s*$", None, regex=True)
    if strategy == ImputationStrategy.ROW_RM:
        return df[blank.notna().all(axis=1)]
    if strategy == ImputationStrategy.SEQ:
        df = df.sort_values(list(settings.get("timeseries_index") or [])) if settings.get("timeseries_index") else df
        df[columns] = blank.loc[df.index].ffill()
        return df
    for column in columns:
        df[column] = _filled(df, blank[column], strategy, value)
    return df


def _filled(df: Any, values: Any, strategy: Any, value: Any) -> Any:
    if strategy in {ImputationStrategy.AVERAGE, ImputationStrategy.MEDIAN}:
        numbers = values.astype(float)
        return numbers.fillna(numbers.mean() if strategy == ImputationStrategy.AVERAGE else numbers.median())
    if strategy == ImputationStrategy.MODE:
        return values.fillna(_mode(values))
    if strategy == ImputationStrategy.COLUMN:
        return values.fillna(df[value])
    if strategy == ImputationStrategy.RANDOM:
        known, missing = values.dropna(), values[values.isna()]
        drawn = known.sample(len(missing), replace=True) if len(known) else known
        return values.fillna(drawn.set_axis(missing.index)) if len(known) else values
    if strategy == ImputationStrategy.NOOP:
        return values
    if strategy in {ImputationStrategy.CONSTANT, None}:
        return values.fillna(_filler(values) if value is None else value)
    raise _unsupported(f"The imputation '{strategy}'")


def _filler(values: Any) -> Any:
    """Return what fills a column's gaps where no value is named."""
    import pandas as pd

    kind = getattr(values.dtype, "kind", "O")
    return 0 if kind in "iuf" else pd.Timestamp.min if kind == "M" else "missing"


def _join(df: Any, action: Action, df_to_join: Any = None, **options: Any) -> Any:
    settings = _options(action)
    if df_to_join is None:
        raise _unsupported("A join without df_to_join")
    left, right = list(settings["left_on"]), list(settings["right_on"])
    joined = df.merge(df_to_join, left_on=left, right_on=right, how=settings.get("how", "left"))
    return joined.drop(columns=settings.get("drop_columns", [])).rename(columns=settings.get("rename_columns", {}))


def _reformat(df: Any, action: Action, **options: Any) -> Any:
    import pandas as pd

    settings = _options(action)
    way = settings.get("reformat")
    for column in _columns(action):
        values = df[column]
        is_text = values.dropna().map(lambda cell: isinstance(cell, str)).any()
        if way == "date_format_conversion":
            df[column] = pd.to_datetime(values, format="mixed", errors="coerce")
        elif not is_text:
            continue  # mage passes over what is no text
        elif way == "caps_standardization":
            cased = values.str.upper() if settings.get("capitalization") == "uppercase" else values.str.lower()
            df[column] = cased.mask(values.str.fullmatch(r"\s*", na=False))
        elif way == "currency_to_num":
            df[column] = pd.to_numeric(values.str.replace(_CURRENCY, "", regex=True), errors="coerce").astype(float)
        elif way == "trim":
            df[column] = values.str.strip()
        elif way is None:
            df[column] = values.mask(values.str.fullmatch(r"\s*", na=False))
        else:
            raise _unsupported(f"The reformatting '{way}'")
    return df


def _remove(df: Any, action: Action, **options: Any) -> Any:
    if Axis(str(action["axis"])) is Axis.ROW:
        return df.drop(index=[label for label in _options(action).get("rows") or [] if label in df.index])
    return df.drop(columns=_columns(action), errors="ignore")


def _remove_outliers(df: Any, action: Action, **options: Any) -> Any:
    keep = True
    columns = [column for column in _columns(action) if getattr(df[column].dtype, "kind", "O") in "iuf"]
    for column in columns:
        low, high = df[column].quantile(0.25), df[column].quantile(0.75)
        margin = 1.5 * (high - low)
        keep = keep & (df[column].between(low - margin, high + margin) | df[column].isna())
    return df[keep] if columns else df


def _scale(df: Any, action: Action, **options: Any) -> Any:
    standard = str(action["action_type"]) == "standardize" or _options(action).get("scaling") == "standardize"
    for column in _columns(action):
        values = df[column].astype(float)
        lowest, span = values.min(), values.max() - values.min()
        df[column] = (values - values.mean()) / values.std(ddof=0) if standard else (values - lowest) / span
    return df


def _shift(direction: int) -> Callable[..., Any]:
    def shift(df: Any, action: Action, **options: Any) -> Any:
        settings = _options(action)
        keys = settings.get("groupby_columns")
        for column in _columns(action)[:1]:
            source = df.groupby(list(keys))[column] if keys else df[column]
            df[_names(action, [f"{column}_shifted"])[0]] = source.shift(direction * int(settings.get("periods", 1)))
        return df

    return shift


def _sort(df: Any, action: Action, **options: Any) -> Any:
    import pandas as pd

    settings = _options(action)
    columns = _columns(action)
    ascending = settings.get("ascendings") or settings.get("ascending", True)
    if not columns:
        return df
    found = df.sort_values(by=columns, ascending=ascending)
    if getattr(df[columns[0]].dtype, "kind", "O") not in "iuf":
        return found
    is_gap = found[columns[0]].isna()  # gaps of a number are below every number
    is_upward = ascending[0] if isinstance(ascending, (list, tuple)) else ascending
    gaps, rest = df[df[columns[0]].isna()], found[~is_gap]
    return pd.concat([gaps, rest] if is_upward else [rest, gaps])


def _update_type(df: Any, action: Action, **options: Any) -> Any:
    import pandas as pd

    for column, wanted in _options(action).get("column_types", {}).items():
        if wanted == "datetime":
            df[column] = pd.to_datetime(df[column], errors="coerce")
        elif wanted in {"number", "number_with_decimals"}:
            df[column] = pd.to_numeric(df[column], errors="coerce")
        elif wanted in {"text", "category"}:
            df[column] = df[column].astype("category" if wanted == "category" else str)
        else:
            raise _unsupported(f"The column type '{wanted}'")
    return df


def _union(df: Any, action: Action, df_to_join: Any = None, **options: Any) -> Any:
    import pandas as pd

    if df_to_join is None:
        raise _unsupported("A union without df_to_join")
    return pd.concat([df, df_to_join], ignore_index=True)


_DOERS: Mapping[ActionType, Callable[..., Any]] = {
    ActionType.ADD: _add,
    ActionType.AVERAGE: _aggregate("mean"),
    ActionType.CLEAN_COLUMN_NAME: _clean_names,
    ActionType.COUNT: _aggregate("count"),
    ActionType.COUNT_DISTINCT: _aggregate("nunique"),
    ActionType.DIFF: _diff,
    ActionType.DROP_DUPLICATE: _drop_duplicates,
    ActionType.EXPLODE: lambda df, action, **options: df.explode(_columns(action)),
    ActionType.FILTER: _filter,
    ActionType.FIRST: _aggregate("first"),
    ActionType.IMPUTE: _impute,
    ActionType.JOIN: _join,
    ActionType.LAST: _aggregate("last"),
    ActionType.LIMIT: lambda df, action, **options: df.head(int(_options(action).get("rows", 100))),
    ActionType.MAX: _aggregate("max"),
    ActionType.MEDIAN: _aggregate("median"),
    ActionType.MIN: _aggregate("min"),
    ActionType.MODE: _aggregate("mode"),
    ActionType.NORMALIZE: _scale,
    ActionType.REFORMAT: _reformat,
    ActionType.REMOVE: _remove,
    ActionType.REMOVE_OUTLIERS: _remove_outliers,
    ActionType.SCALE: _scale,
    ActionType.SELECT: lambda df, action, **options: df[_columns(action)],
    ActionType.SHIFT_DOWN: _shift(1),
    ActionType.SHIFT_UP: _shift(-1),
    ActionType.SORT: _sort,
    ActionType.STANDARDIZE: _scale,
    ActionType.SUM: _aggregate("sum"),
    ActionType.UNION: _union,
    ActionType.UPDATE_TYPE: _update_type,
}
