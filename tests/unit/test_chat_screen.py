"""What `paddock chat` shows of a stream."""

import pytest
from openai.types.responses import (
    ResponseCodeInterpreterCallCodeDeltaEvent,
    ResponseCodeInterpreterToolCall,
    ResponseOutputItemDoneEvent,
    ResponseRefusalDeltaEvent,
)
from openai.types.responses.response_code_interpreter_tool_call import OutputLogs

from api.chat import Screen


def said(index: int, code: str) -> ResponseCodeInterpreterCallCodeDeltaEvent:
    return ResponseCodeInterpreterCallCodeDeltaEvent(
        delta=code,
        item_id=f"ci_{index}",
        output_index=index,
        sequence_number=0,
        type="response.code_interpreter_call_code.delta",
    )


def printed(index: int, logs: str) -> ResponseOutputItemDoneEvent:
    call = ResponseCodeInterpreterToolCall(
        id=f"ci_{index}",
        container_id="none",
        outputs=[OutputLogs(logs=logs, type="logs")],
        status="completed",
        type="code_interpreter_call",
    )
    return ResponseOutputItemDoneEvent(item=call, output_index=index, sequence_number=0, type="response.output_item.done")


def test_each_of_two_calls_has_its_own_code_and_output(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    for event in (said(0, "print("), said(0, "3)"), said(1, "print(289)"), printed(1, "289"), printed(0, "3\n")):
        screen.show(event)
    assert capsys.readouterr().out == ("python:\n  print(3)\npython:\n  print(289)\noutput:\n  289\noutput:\n  3\n")


def test_a_refusal_is_shown_like_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    event = {"content_index": 0, "delta": "I cannot.", "item_id": "m", "output_index": 0, "sequence_number": 0}
    Screen().show(ResponseRefusalDeltaEvent(type="response.refusal.delta", **event))
    assert capsys.readouterr().out == "I cannot."
