/** The floor of reading workbooks: the streaming reader of ExcelJS, with what it needs to give texts and dates. */
export async function readWithExceljs(path: string): Promise<{ rows: number; cells: number }> {
  const { default: ExcelJS } = await import('exceljs')
  const workbook = new ExcelJS.stream.xlsx.WorkbookReader(path, { entries: 'emit', sharedStrings: 'cache', hyperlinks: 'ignore', styles: 'cache', worksheets: 'emit' })
  let rows = 0
  let cells = 0
  for await (const worksheet of workbook) {
    for await (const row of worksheet) {
      rows++
      // The row's values are an array that begins at 1.
      for (const value of row.values as unknown[]) if (value !== undefined && value !== null) cells++
    }
  }
  return { rows, cells }
}
