/** Said at the start and by doctor. */
export const ONE_ADDRESS = {
  message: 'PUBLIC_URL is https and TRUSTED_PROXIES is 0: everybody counts as one address.',
  hint: 'Set TRUSTED_PROXIES to the number of proxies.',
} as const

/**
 * Whether the portal takes everybody for one client. It speaks no TLS itself, so that https means a proxy; one that is not trusted is all that is
 * seen, and what is counted by address (accounts/throttle.ts) is counted for all people together.
 */
export const seesOneAddress = ({ publicUrl, trustedProxies }: { publicUrl: string | null; trustedProxies: number }): boolean =>
  trustedProxies === 0 && publicUrl !== null && new URL(publicUrl).protocol === 'https:'
