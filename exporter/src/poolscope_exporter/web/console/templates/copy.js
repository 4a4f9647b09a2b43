// Copy the evidence beside a button; without this file the buttons are not shown.
'use strict';
const SHOWN_MS = 4000;
const copied = document.getElementById('copied');
let shown = 0;

function report(text) {
  clearTimeout(shown);
  copied.textContent = text;
  shown = setTimeout(() => { copied.textContent = ''; }, SHOWN_MS);
}

// Browsers have a clipboard only on https and localhost: elsewhere, the reader copies the selection.
async function copy(evidence) {
  try {
    await navigator.clipboard.writeText(evidence.textContent);
    report('Copied.');
  } catch {
    getSelection().selectAllChildren(evidence);
    report('Selected: copy it with the keyboard.');
  }
}

document.documentElement.classList.add('scripted');
// An update replaces the buttons, so the document has the only listener.
document.addEventListener('click', (event) => {
  const button = event.target.closest('.copy');
  if (button) copy(button.parentElement.querySelector('.ticket'));
});
