// What is wider than its box can be reached and scrolled by the keyboard.
function reach() {
  const boxes = "article pre, article .table-wrapper, article .cell_output, article .math";
  for (const box of document.querySelectorAll(boxes)) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("load", reach);
addEventListener("resize", reach);
