// What a look at the drawn page finds: panels without data, and texts that are cut off or leave their panel.
interface Fault {
  panel: string;
  what: string;
}

export function report(): Fault[] {
  return [...document.querySelectorAll<HTMLElement>('[data-panel]')].flatMap((panel) => {
    const faults = panel.dataset.empty ? ['no data'] : [...new Set([...cut(panel), ...outside(panel)])];
    return faults.map((what) => ({ panel: panel.dataset.panel!, what }));
  });
}

function cut(panel: HTMLElement): string[] {
  return [...panel.querySelectorAll<HTMLElement>('*')]
    .filter((one) => one.clientWidth > 1 && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX !== 'visible' && one.innerText?.trim())
    .map((one) => `cut off: ${one.innerText.slice(0, 80)}`);
}

function outside(panel: HTMLElement): string[] {
  const box = panel.getBoundingClientRect();
  return [...panel.querySelectorAll<HTMLElement>('*')]
    .filter((one) => one.childElementCount === 0 && one.innerText?.trim())
    .filter((one) => {
      const own = one.getBoundingClientRect();
      return own.width > 1 && (own.right > box.right + 1 || own.left < box.left - 1);
    })
    .map((one) => `leaves its panel: ${one.innerText.slice(0, 80)}`);
}
