// Tells when a page that fetches itself again has lost the console, so that nobody takes old numbers for new ones.
const lost = document.createElement('p')
lost.className = 'lost'
lost.setAttribute('role', 'status')
document.body.append(lost)
const tell = (words) => {
  if (lost.textContent !== words) lost.textContent = words
}
document.addEventListener('htmx:after:request', (event) => {
  const status = event.detail?.ctx?.response?.status ?? 0
  tell(status === 200 ? '' : 'Not up to date: the console does not answer as it should. It is asked again.')
})
document.addEventListener('htmx:error', () => tell('Not up to date: the console does not answer. It is asked again.'))
