import ssh2 from 'ssh2'

/** A new pair of keys as OpenSSH writes them; with a passphrase always ed25519. ssh2 makes one in a few hundred that it cannot read itself: such a one is thrown away. */
export function newSshKey({ type = 'ed25519', passphrase }: { type?: 'ed25519' | 'rsa'; passphrase?: string } = {}): { private: string; public: string } {
  const make = () => {
    if (passphrase !== undefined) return ssh2.utils.generateKeyPairSync('ed25519', { passphrase, cipher: 'aes256-ctr', rounds: 1 })
    return type === 'rsa' ? ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 }) : ssh2.utils.generateKeyPairSync('ed25519')
  }
  for (;;) {
    const pair = make()
    if (!(ssh2.utils.parseKey(pair.private, passphrase) instanceof Error)) return pair
  }
}
