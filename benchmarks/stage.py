"""Where a scenario plays: one view on a page of JupyterLab, its state in Python, and its pictures."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import LabPage, wait_for

VIEW = ".workbench-view-box"
LOOK = """async (png) => {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
  const context = canvas.getContext("2d"), seen = new Set();
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0, coloured = 0;
  for (let at = 0; at < data.length; at += 4) {
    sum += data[at] + data[at + 1] + data[at + 2];
    coloured += Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 60;
    seen.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
  }
  return { lightness: sum / (data.length * 0.75) / 255, colours: seen.size, coloured };
}"""


@dataclass(frozen=True)
class Stage:
    """One view on a page, in one theme, and where its pictures go.

    Attributes:
        shown: The page.
        state: The file that the view writes its state to, see ``scenes.tell``.
        theme: "light" or "dark".
        pictures: Folder for PNGs, or None for none.
    """

    shown: LabPage
    state: Path
    theme: str
    pictures: Path | None = None

    @property
    def page(self) -> Any:
        """Playwright's page."""
        return self.shown.page

    def told(self) -> dict:
        """What the view holds in Python."""
        return json.loads(self.state.read_text("utf-8"))

    def after(self, act: Callable[[], Any], expected: Callable[[dict], Any], *, seconds: float = 20) -> dict:
        """Do something, and wait until the view's state is as expected; the state.

        Raises:
            AssertionError: If it never is.
        """
        act()
        self.expect(f"an answer; {self.told()}", lambda: expected(self.told()), seconds=seconds)
        return self.told()

    def expect(self, what: str, question: Callable[[], Any], *, seconds: float = 20) -> None:
        """Wait for the page to show something; the kernel is always a little ahead of it.

        Raises:
            AssertionError: If it never does.
        """
        try:
            wait_for(question, seconds=seconds)
        except TimeoutError:
            raise AssertionError(f"the page never shows {what}") from None

    def picture(self, name: str, *, of: str) -> bytes:
        """A part of the view as it is now, without the status line and its milliseconds; the whole is kept as a PNG."""
        self.page.wait_for_timeout(300)  # a frame or two
        if self.pictures:
            self.page.locator(VIEW).screenshot(path=self.pictures / f"{name}-{self.theme}.png")
        return self.page.locator(of).first.screenshot()

    def look(self, selector: str) -> dict[str, float]:
        """``lightness``, 0 (black) to 1 (white), number of ``colours``, and ``coloured`` pixels of a part of the view.

        A coloured pixel is one that no text, no line and no background has: those are grey.
        """
        picture = self.page.locator(selector).first.screenshot()
        return self.page.evaluate(LOOK, base64.b64encode(picture).decode())

    def tab_to(self, target: str, *, back: bool = False) -> None:
        """Press Tab until something that fits the selector has the focus."""
        for _ in range(40):
            self.page.keyboard.press("Shift+Tab" if back else "Tab")
            if self.page.evaluate("(target) => document.activeElement.matches(target)", target):
                return
        raise AssertionError(f"Tab never reaches {target}")


def serious_findings(page: Any) -> list[str]:
    """What axe calls serious or critical inside our view, as it is now."""
    from axe_playwright_python.sync_playwright import Axe

    findings = Axe().run(page, context=VIEW).response["violations"]
    return [
        f"{found['id']}: {found['nodes'][0]['html'][:120]}"
        for found in findings
        if found["impact"] in ("serious", "critical")
    ]
