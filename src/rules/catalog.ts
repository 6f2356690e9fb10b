/**
 * Every problem that Muster can tell a person, in one table: stable code, severity, sentence and hint.
 * docs/errors.md lists the same table and a test holds the two together.
 * {name} stands for a detail given with the problem; {column} and {value} are always there for row issues.
 */
import type { IssueDetail } from './detail.ts'
import type { HoldReason } from './feedPolicy.ts'

export type Severity = 'error' | 'warning'

type Entry = { severity: Severity; message: string; hint: string }

const error = (message: string, hint: string): Entry => ({ severity: 'error', message, hint })
const warning = (message: string, hint: string): Entry => ({ severity: 'warning', message, hint })

/** Problems of a row (spec B). Errors stop the row, warnings do not (B9). */
export const ISSUES = {
  // B1 names
  'name.required': error('No name stands in {column}.', 'Every person needs a first and a last name.'),
  'name.invalid_character': error('{column} holds the character {character}, which does not occur in names.', 'Letters of any script, marks, spaces, apostrophes, hyphens and periods are allowed.'),
  'name.too_long': error('{column} has {length} characters; at most {limit} are allowed.', 'Shorten the name to {limit} characters.'),

  // B2 e-mail
  'email.required': error('An e-mail address is needed because a mail is owed to this person.', 'Fill in the address, or write "none" in Delivery.'),
  'email.missing_at': error('The address has no @.', 'An address looks like name@company.com.'),
  'email.missing_dot': error('There is no dot after the @.', 'The part after the @ needs a dot, as in company.com.'),
  'email.empty_label': error('Between the @ and a dot, between two dots, or at an end of the domain, nothing stands.', 'Look for a doubled, leading or trailing dot after the @.'),
  'email.tld_too_short': error('Only one character follows the last dot.', 'The ending needs at least two letters, as in .com.'),
  'email.invalid_domain_character': error('The part after the @ {fault}.', 'Letters, digits and hyphens are allowed; a label neither starts nor ends with a hyphen, and the last one is not a number.'),
  'email.invalid_local_character': error('The part before the @ {fault}.', 'Letters of a to z, digits and . _ + - \' are common; no spaces, no quotes, no dot at an end or doubled.'),
  'email.multiple_at': error('The address has more than one @.', 'Write exactly one address with one @.'),
  'email.too_long': error('The address is too long: {part} has {length} characters, {limit} are allowed.', 'Check the address: this long, no mail server takes it.'),
  'email.control_character': error('The address holds an invisible or control character ({character}).', 'Type the address anew instead of pasting it.'),
  'email.multiple_addresses': error('More than one address stands in the cell.', 'Keep one address; a person has one.'),
  'email.link_differs': warning('The cell shows {value} but its link points to {target}; what is shown was taken.', 'Remove the link, or correct the address shown.'),

  // B3 phone
  'phone.not_numeric': error('The phone number holds {character}.', 'Digits with spaces, dots, dashes, parentheses and a leading +1 are allowed.'),
  'phone.not_ten_digits': error('The phone number has {digits} digits; ten are needed.', 'Give area code and number, as in (612) 555-0100.'),
  'phone.scientific_notation': error('The phone number was turned into {value} by the spreadsheet; its last digits may be lost.', 'Format the column as text and enter the number again.'),
  'phone.lost_leading_zero': error('The phone number has nine digits: the spreadsheet has probably dropped a leading zero.', 'Format the column as text and enter the number again.'),
  'phone.invalid': error('The phone number does not exist in the numbering plan: {reason}.', 'Check the country code, the area code and the length.'),

  // B4 identity
  'duplicate.in_file': error('The same person stands in row {firstRow} of this file too (same {field}).', 'Keep one row for a person and kind of account.'),
  'duplicate.contradiction': error('{column} says {value}, but row {firstRow} of the same person says {other}.', 'The details of a person stand in the first row; repeat them in the others as they are, or leave them empty. Taken in alone, such a row needs "yes" in System User.'),
  'duplicate.first_row': error('The person of this row is made by row {firstRow}, which was not taken in.', 'Mend row {firstRow}, and take both rows in again.'),
  'duplicate.email': error('The address {value} belongs to another person already ({other}).', 'Use the address of this person, or the External ID of that one.'),
  'identity.conflict': error('The address {value} belongs to External ID {other}, but this row says {given}.', 'Correct the External ID or the address.'),
  'identity.moved': error('External ID {given} has had the address {old} and was mailed there; the row says {value}.', 'Somebody has to decide whether this is the same person with a new address: muster identity list shows both sides.'),
  'identity.move_declined': warning('External ID {given} keeps the address {old}: it was declined that the person has moved to {value}. The row was left out.', 'Correct the address where the file is made. muster identity list --declined shows who declined it; it can be accepted yet.'),
  'identity.deactivated': error('This person was deactivated; the organization wants to be asked.', 'Decide with muster identity, or set matching.deactivated to "reactivate" to bring all such people back, and take the row in again.'),
  'identity.deactivated_skipped': warning('This person was deactivated and was left as is.', 'Set matching.deactivated to "reactivate" to bring people back.'),
  'identity.reactivated': warning('This person was deactivated and is active again.', 'Set matching.deactivated to "ask" to decide each time.'),
  'email.belongs_to_person': warning('The person has registered and keeps the address {old}; the file says {value}.', 'The address is theirs to change. Ask them to, or leave it out of the file.'),
  'phone.belongs_to_person': warning('The person has registered and keeps the phone number {old}; the file says {value}.', 'The number is theirs to change. Ask them to, or leave it out of the file.'),
  'username.taken': error('The username {value} belongs to somebody else, or did so before.', 'Choose another one, or leave the cell empty to have one made.'),
  'username.invalid': error('The username {value} cannot be used: {reason}.', 'Use letters, digits, dots, hyphens and underscores, as far as the organization\'s limit.'),
  'plan.stale': error('This person was changed after the preview, and was left alone.', 'Take the file in again to see what it would change now.'),

  // B5, B6 roles and catalog values
  'role.required': error('The user needs a role.', 'Name a role, or write "No role assigned".'),
  'role.unknown': error('There is no role named {value}.', 'Did you mean {nearest}?'),
  'role.duplicate': error('The role {value} is given twice for the same product.', 'Name each role once.'),
  'group.unknown': error('There is no user group named {value}.', 'Did you mean {nearest}?'),
  'profile.unknown': error('There is no profile named {value}.', 'Did you mean {nearest}?'),
  'license.unknown': error('There is no license named {value}.', 'Did you mean {nearest}?'),
  'license.no_seats': error('No seat of the license {license} is free.', 'Free a seat, add seats, or choose another license.'),
  'license.awaiting': warning('No seat of the license {license} is free: the person becomes a contact awaiting a license.', 'Free or add seats, then take the row in again.'),
  'product.unknown': error('There is no product named {value}.', 'Did you mean {nearest}?'),
  'product.required': error('The tenant {value} needs a product that has it, and the row names none.', 'Name the product in Product.'),
  'tenant.unknown': error('There is no tenant named {value} of the product {product}.', 'Did you mean {nearest}?'),
  'security.unknown': error('There is no security group named {value} for {column}.', 'Did you mean {nearest}?'),
  'security.required': error('The user needs a security group for {fields}.', 'Name one: the organization has no group "all" that would stand for it.'),
  'lookup.invalid': error('{value} is no authorized lookup.', 'Write the field and its security group, like {example}.'),
  'lookup.unknown': error('There is no authorized lookup {value}.', 'Did you mean {nearest}?'),
  'customer.unknown': error('There is no customer named {value}.', 'Did you mean {nearest}?'),
  'customer.required': error('{column} needs a customer, and the row names none.', 'Name the customer in Customer.'),
  'worksite.unknown': error('There is no worksite named {value} of this customer.', 'Did you mean {nearest}?'),
  'contact_role.unknown': error('There is no contact role named {value} at this customer.', 'Did you mean {nearest}?'),
  'value.unknown': error('{value} is not one of the values of {column}.', 'Allowed: {allowed}.'),
  'value.blank_refused': error('{column} is empty, and the mapping wants a value.', 'Fill in the cell.'),

  // B7 dates
  'date.invalid': error('{value} is not a date.', 'Write it as 2026-12-01, or 2026-12-01 08:00 with a time.'),
  'date.ambiguous': error('{value} may be {first} or {second}.', 'Write it as 2026-12-01, or declare the date format in the mapping.'),
  'date.past': error('{value} has passed.', 'Give a time to come, or leave the cell empty.'),
  'date.nonexistent': error('At {value} the clocks are put forward in {zone}: that time does not exist.', 'Choose a time before or after the change.'),
  'date.before_1900_march': error('The spreadsheet counts a day that never was (29 February 1900), so that a date this early cannot be told.', 'Write the date as text, like 1900-01-15.'),

  // cells
  'cell.formula': warning('The cell holds a formula; its last result was taken.', 'Copy the column and paste it as values.'),
  'cell.formula_without_result': error('The cell holds a formula that was stored without a result.', 'Open the workbook, let it calculate, save it; or paste values.'),
  'cell.error': error('The cell shows the error {value}.', 'Mend the formula, or enter the value.'),
  'cell.merged': error('The cell is merged with others ({range}), so that it cannot be told whom its value belongs to.', 'Unmerge the cells and fill in every row.'),
  'cell.digits_lost': error('The number {value} may have lost digits: the spreadsheet keeps fifteen.', 'Format the column as text and enter it again.'),
  'cell.identifier_as_number': warning('The identifier {value} is stored as a number; leading zeros, if it had any, are lost.', 'Format the column as text.'),
  'cell.invisible_character': warning('Invisible characters ({character}) were removed from {column}.', 'Nothing needs doing; they usually come from copying out of a web page.'),
  'cell.control_character': error('{column} holds a control character ({character}).', 'Type the value anew instead of pasting it.'),
  'cell.broken_character': error('{column} holds {character}, which stands where a character was lost.', 'Save the file as "CSV UTF-8", or type the value anew.'),
  'cell.too_long': error('{column} has {length} characters; at most {limit} are allowed.', 'Shorten the value.'),
  'cell.not_text': error('{column} holds {kind} where text is expected.', 'Format the column as text and enter the value again.'),
  'row.not_written': error('The row could not be written, and was left alone: the database refused it or one beside it.', 'Take the file in again; if it happens again, look at the log of the worker.'),
  'row.too_few_fields': error('The row has {fields} fields; the header has {expected}.', 'Look for a missing separator, or a line break inside a field without quotes.'),
  'row.too_many_fields': error('The row has {fields} fields; the header has {expected}.', 'Put a value that holds the separator in quotes.'),

  // users
  'user.not_loginable': warning('The user cannot log in yet: {missing} missing.', 'Give the user what is missing, or set defaults for the organization.'),
  'delivery.sso': warning('The organization signs in through SSO: no credentials or invitations are sent.', 'Write "none" in Delivery.'),
  'delivery.not_invitable': warning('The role {role} alone cannot be invited.', 'Add another role, or write "none" in Delivery.'),
} as const satisfies Record<string, Entry>

/** Reasons to refuse a file as a whole: nothing of it is taken in. */
export const FAILURES = {
  'file.not_a_workbook': { message: 'The file is {kind}, not an Excel workbook (.xlsx) or CSV.', hint: '{advice}' },
  'file.encrypted': { message: 'The workbook is protected with a password.', hint: 'Open it, remove the password (File > Info > Protect Workbook), and save it as .xlsx.' },
  'file.too_large': { message: 'The file is too large: the {what} is {size}; the limit is {limit}.', hint: 'Split the file, or remove rows, columns and sheets that are not needed.' },
  'file.zip_bomb': { message: 'The workbook unpacks to far more than it should: {what}.', hint: 'Copy the rows into a new workbook and save that.' },
  'file.corrupt': { message: 'The file is damaged: {what}.', hint: 'Open it in the program that made it, save it again, and try that one.' },
  'file.empty': { message: 'The file holds {what}.', hint: 'Fill in at least one row below the header, and save the file again.' },
  'file.encoding': { message: 'The text is not valid {encoding}, near byte {offset}.', hint: 'Save the file as "CSV UTF-8".' },
  'file.unclosed_quote': { message: 'A quote that opens in line {line} is never closed.', hint: 'Close the quote; a quote inside a value is written twice.' },
  'file.sheet_unknown': { message: 'The workbook has no visible sheet named {sheet}.', hint: 'Its visible sheets: {sheets}.' },
  'file.not_found': { message: 'There is no file {path}.', hint: 'Check the path.' },
  'header.missing': { message: 'No column is recognized as {columns}.', hint: '{advice}' },
  'header.duplicate': { message: 'More than one column is taken as {field}: {columns}.', hint: 'Remove or rename one of them; one that reads differently can be left out with --set-column "Header=ignore".' },
  'header.forbidden': { message: 'A column is named {header}, which is not allowed.', hint: 'Rename the column.' },
  'header.unclaimed': { message: 'Nothing is known of the column {columns}.', hint: '{advice}' },
  'template.other_organization': { message: 'The template was made for the organization {other}, not for {organization}.', hint: 'Fill in the template of {organization} (muster template {organization}).' },
  'mapping.unknown': { message: 'The organization has no mapping named {mapping}.', hint: 'Save one with --save-mapping {mapping}.' },
  'import.interrupted': { message: 'The import stopped {times} times without an end, and was put aside.', hint: 'Split the file and try the parts, or look at the log of the worker.' },
} as const satisfies Record<string, { message: string; hint: string }>

/** Reasons to hold a feed's file as a whole: nothing of it is carried out until an administrator has decided (spec A6, A7). */
export const HOLDS = {
  'limit.creations': { message: 'New people: {count}. By itself a file may bring at most {limit} (active now: {population}).', hint: 'Look at the new people in the plan. Where a file is expected to bring so many, approve it, or widen thresholds.creations of the feed.' },
  'limit.updates': { message: 'People changed: {count}. By itself a file may change at most {limit} (active now: {population}).', hint: 'Look at old and new values in the plan. Where they are right, approve it, or widen thresholds.updates of the feed.' },
  'limit.deactivations': { message: 'People deactivated because the file does not name them: {count}. By itself a file may deactivate at most {limit} (active now: {population}).', hint: 'Look at the list of those who would leave. Where the file was cut short, reject it and have it sent again; else approve it, or widen thresholds.deactivations of the feed.' },
  'limit.changedEmails': { message: 'E-mail addresses changed: {count}. By itself a file may change at most {limit} (active now: {population}).', hint: 'Look at old and new addresses in the plan: columns that were shifted look so. Where they are right, approve it, or widen thresholds.changedEmails of the feed.' },
  'limit.reactivations': { message: 'Deactivated people brought back: {count}. By itself a file may bring back at most {limit} (active now: {population}).', hint: 'Look at who would be active again in the plan. Where that is right, approve it, or widen thresholds.reactivations of the feed.' },
  'contract.rows': { message: 'Rows in the file: {rows}. Expected are {expected}.', hint: 'Ask the sender whether the file is whole. Where it is, approve it, or change contract.rows of the feed.' },
  'contract.columns': { message: 'The columns are not those of the last file: missing are {missing}, new are {added}.', hint: 'A column that is not there changes nothing, and one that is new may not be read. Where that is meant so, approve the file: the next ones are compared with it.' },
  'feed.out_of_order': { message: 'The file {file} is older than {newer}, which was taken in before it.', hint: 'Reject it, unless the older file is the right one.' },
  'feed.cut_short': { message: 'The file ends in the middle of row {row}: fields are missing there, or its line is not closed as it was in the last file.', hint: 'Reject it, and have the whole file sent again.' },
  'leaving.unsure': { message: 'Rejected rows in which nobody can be recognized: {rows}. Those whom the file would deactivate ({leaving}) may be among them.', hint: 'Look whether the rows are those people (muster import errors). Where they are, reject the file and have it mended.' },
  'feed.adopts': { message: 'People whom the file would make the feed\'s own, though the feed did not bring them: {people}. No file of the feed has done so before.', hint: 'Look at who they are: a later file that leaves them out deactivates them. Where that is meant so, approve it; else reject it, and set adopts of the feed to false.' },
} as const satisfies Record<HoldReason['code'], { message: string; hint: string }>

export type IssueCode = keyof typeof ISSUES
export type FailureCode = keyof typeof FAILURES

/** Puts details into a sentence of the catalog. An unknown detail is left out with its braces, never guessed. */
export function fillIn(sentence: string, detail: IssueDetail): string {
  return sentence.replace(/\{(\w+)\}/g, (_, name: string) => String(Object.hasOwn(detail, name) ? detail[name] : ''))
}

/** Sentence and hint of a row's problem. A hint that needs the nearest known value falls away where none is near. */
export function explainIssue(code: IssueCode, detail: IssueDetail): { severity: Severity; message: string; hint: string } {
  const entry = ISSUES[code]
  const hint = entry.hint.includes('{nearest}') && !detail['nearest'] ? 'See the list of known values in the template.' : fillIn(entry.hint, detail)
  return { severity: entry.severity, message: fillIn(entry.message, detail), hint }
}

/** Sentence and hint of a refused file. */
export function explainFailure(code: FailureCode, detail: IssueDetail): { message: string; hint: string } {
  return { message: fillIn(FAILURES[code].message, detail), hint: fillIn(FAILURES[code].hint, detail) }
}

/** Sentence and hint of a reason to hold a file. */
export function explainHold({ code, detail }: HoldReason): { code: HoldReason['code']; message: string; hint: string } {
  const { message, hint } = HOLDS[code]
  const told: IssueDetail = 'rows' in detail && !('leaving' in detail) ? { ...detail, expected: expectedRows(detail) } : 'missing' in detail ? { missing: detail.missing || 'none', added: detail.added || 'none' } : detail
  return { code, message: fillIn(message, told), hint }
}

const expectedRows = ({ least, most, last }: { least?: number; most?: number; last?: number }): string =>
  [least === undefined ? '' : `at least ${least}`, most === undefined ? '' : `at most ${most}`, last === undefined ? '' : `about as many as in the last file, ${last}`].filter(Boolean).join(', ')
