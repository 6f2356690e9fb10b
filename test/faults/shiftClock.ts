/** Loaded before a process: puts its clock forward by CLOCK_OFFSET_MS, or back, in every way that a program asks what time it is. */
const offset = Number(process.env['CLOCK_OFFSET_MS'])
const RightDate = globalThis.Date
const rightNow = RightDate.now

class ShiftedDate extends RightDate {
  constructor(...given: [] | ConstructorParameters<typeof RightDate>) {
    if (given.length === 0) super(ShiftedDate.now())
    else super(...given)
  }

  static override now(): number {
    return rightNow() + offset
  }
}
globalThis.Date = ShiftedDate as DateConstructor

const instant = globalThis.Temporal.Now.instant
globalThis.Temporal.Now.instant = () => instant().add({ milliseconds: offset })
