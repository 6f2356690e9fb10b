/** What tests that drive a real browser share. */

/** Chromium without a window, without sandbox (in containers there is none), and talking to nobody. */
export const QUIET = ['--no-sandbox', '--headless', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

/** Runs in the page: texts whose contrast with what lies behind them is below WCAG's AA, 4.5 (3 for large ones). */
export const FAINT_TEXTS = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const rgba = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data] }
  const light = (color) => { const [r, g, b] = color.map((c) => c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b }
  const behind = (element) => { for (let at = element; at; at = at.parentElement) { const color = rgba(getComputedStyle(at).backgroundColor); if (color[3] === 255) return color } return [255, 255, 255, 255] }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  const faint = []
  for (let node; (node = walker.nextNode()); ) {
    const element = node.parentElement
    if (!node.data.trim() || !element.checkVisibility({ visibilityProperty: true }) || element.closest('option')) continue
    const style = getComputedStyle(element)
    const [a, b] = [light(rgba(style.color)), light(behind(element))].sort((x, y) => y - x)
    const size = parseFloat(style.fontSize)
    const wanted = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5
    if ((a + 0.05) / (b + 0.05) < wanted) faint.push(node.data.trim() + ' ' + ((a + 0.05) / (b + 0.05)).toFixed(2))
  }
  return faint
})()`
