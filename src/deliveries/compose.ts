import type { DeliveryPurpose } from '../entities/states.ts'
import type { Settings } from '../organizations/declaration.ts'
import type { OwnVersion } from '../organizations/mailTemplates.ts'
import type { SupportContact } from '../organizations/supportContact.ts'
import type { PurposeVariables } from '../templates/purposes.ts'

/** A delivery that a worker has under a lease, with everything its mail is made of, as it was at the claim. */
export type Claimed = {
  id: string
  /** Proof of the lease; whoever writes about the delivery names it. */
  token: string
  /** Number of this attempt among all of this delivery. */
  attempt: number
  /** Attempts that count, this one included. */
  attempts: number
  purpose: DeliveryPurpose
  epoch: number
  importId: string | null
  /** The alert of a feed that it tells of, or tells the end of. */
  feedAlertId: string | null
  userId: string | null
  to: string
  /** An operator's address, where that one and not the person gets it (spec D2); then `to` is the same. */
  deliverTo: string | null
  /** Whom it is about; null for what tells operators of imports and feeds. */
  person: { firstName: string; lastName: string; username: string; passwordChosenAt: Date | null } | null
  organization: { id: string; key: string; name: string; timeZone: string; language: string; settings: Settings; support: SupportContact | null; ownTemplates: OwnVersion[] }
  /** The database's clock at the claim. */
  claimedAt: Date
  /** Milliseconds after the claim before which it may not leave, so that the organization's rate is kept. */
  waitMs: number
}

/** What a mail says. */
export type Composed<P extends DeliveryPurpose = DeliveryPurpose> = {
  /** The values of the purpose's template. */
  variables: PurposeVariables[P]
  /** What nobody but the reader may see; it is taken out of everything that is recorded. */
  secret: string | null
  /** What `seal` stores, such as the secret's hash, as JSON. Never the secret itself. */
  sealed: object | null
}

/** Makes the mails of one purpose. Whoever puts the rooms together supplies one for each purpose. */
export type Composer<P extends DeliveryPurpose = DeliveryPurpose> = {
  /** Makes the secret and what the mail says. Throws where the mail cannot be made: the delivery fails with that reason. */
  compose(claimed: Claimed): Promise<Composed<P>>
  /**
   * Stores what belongs to the secrets, in the very statement that lets the mails leave: data-modifying statements that become
   * parts of it. Each may read the table whose name is given: user_id, epoch and sealed (jsonb) of the mails that leave.
   */
  seal?(leaving: string): string[]
}

/** Deliveries of a purpose without a composer are left alone. */
export type Composers = { readonly [P in DeliveryPurpose]?: Composer<P> }
