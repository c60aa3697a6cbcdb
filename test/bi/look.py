"""usage: look.py DASHBOARD PICTURE

Opens the dashboard in headless Chromium, logged in as a visitor, and asserts what a person would
see: each chart of the folder DASHBOARD is drawn with data and without an error box, figures are
those of the database, another customer chosen in the filter brings that customer's recommendations.
One line "ok ..." or "FAILED ..." a check; a picture of the whole dashboard at the end.
"""

import os
import pathlib
import shutil
import sys
import time

import sqlalchemy
import yaml
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

WIDTH, HEIGHT = 1400, 1525
PATIENCE = 60  # seconds

# Pixels of a canvas that are neither transparent nor grey: bars and lines, not axes.
COLOURED = """
const canvas = arguments[0].querySelector('canvas');
if (!canvas) return 0;
const bytes = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
let n = 0;
for (let i = 0; i < bytes.length; i += 4)
	if (bytes[i + 3] > 128 && Math.max(bytes[i], bytes[i + 1], bytes[i + 2])
			- Math.min(bytes[i], bytes[i + 1], bytes[i + 2]) > 40) n++;
return n;
"""


class Page:
	"""The dashboard in a browser."""

	def __init__(self, address):
		options = webdriver.ChromeOptions()
		for argument in ("--headless=new", f"--window-size={WIDTH},{HEIGHT}", "--disable-gpu",
				"--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
				# nothing leaves this machine
				"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"):
			options.add_argument(argument)
		if os.geteuid() == 0:
			options.add_argument("--no-sandbox")
		self.address = address
		options.binary_location = shutil.which("chromium")
		self.driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))

	def find(self, selector, within=None):
		return (within or self.driver).find_elements(By.CSS_SELECTOR, selector)

	def wait(self, condition):
		return WebDriverWait(self.driver, PATIENCE).until(lambda _: condition())

	def first(self, selector):
		return self.wait(lambda: self.find(selector))[0]

	def log_in(self, name, password):
		self.driver.get(self.address + "/login/")
		self.first("#username, input[name=username]").send_keys(name)
		self.first("#password, input[name=password]").send_keys(password + Keys.ENTER)
		self.wait(lambda: "/login" not in self.driver.current_url)

	def open(self, slug):
		self.driver.get(f"{self.address}/superset/dashboard/{slug}/")
		self.first("[data-test-chart-name]")

	def chart(self, name):
		return self.first(f'[data-test-chart-name="{name}"]')

	def choose(self, filter_name, value):
		field = self.first(f'[data-test="NATIVE_FILTER-{filter_name}"] input')
		field.send_keys(value)
		self.first(f'.ant-select-item-option[title="{value}"]').click()
		self.first('[data-test="filter-bar__apply-button"]').click()


def is_loading(page, chart):
	return bool(page.find(".loading, [data-test=loading-indicator], .ant-skeleton", chart))


def error_of(page, chart):
	boxes = page.find(".ant-alert-error, [role=alert], .ant-empty, .error-boundary", chart)
	return boxes[0].text.replace("\n", ": ") or "an error box" if boxes else None


def has_data(page, chart, kind):
	if kind == "table":
		return bool(page.find("tbody tr td", chart))
	if kind == "big_number_total":
		return any(c.isdigit() for c in "".join(e.text for e in page.find(".header-line", chart)))
	return page.driver.execute_script(COLOURED, chart) > 500


def look_at(page, name, kind):
	"""None, or what is wrong with a chart; waits until it is drawn."""
	end = time.monotonic() + PATIENCE
	while time.monotonic() < end:
		chart = page.chart(name)
		if not is_loading(page, chart):
			error = error_of(page, chart)
			if error or has_data(page, chart, kind):
				return error
		time.sleep(0.5)
	return "no data"


def column_of(page, name, title):
	"""The texts of one column of a table."""
	chart = page.chart(name)
	titles = [e.text.strip() for e in page.find("thead th", chart)]
	cells = [page.find("td", row) for row in page.find("tbody tr", chart)]
	return [row[titles.index(title)].text for row in cells if len(row) == len(titles)]


def recommended(database, customer):
	rows = database.execute(sqlalchemy.text("SELECT candidate FROM recommendation "
		"WHERE query = :customer AND rank <= 20 ORDER BY rank"), dict(customer=customer))
	return [row[0] for row in rows]


def shows(page, expected):
	try:
		return page.wait(lambda: column_of(page, "Recommended to the chosen customer", "candidate")
			== expected)
	except Exception:
		return False


def checks(page, dashboard, database):
	"""Yields (what, None or what is wrong)."""
	page.log_in("visitor", os.environ["BI_PASSWORD"])
	page.open("recommender")
	yield "a visitor logs in and opens the dashboard", None

	for path in sorted(dashboard.glob("charts/*.yaml")):
		chart = yaml.safe_load(path.read_text())
		yield "chart: " + chart["slice_name"], look_at(page, chart["slice_name"], chart["viz_type"])

	version = str(database.execute(sqlalchemy.text(
		"SELECT version FROM tfrs.recommender_status")).scalar())
	shown = page.find(".header-line", page.chart("Model"))[0].text
	yield "the version in use is shown", None if shown == version else f"{shown} for {version}"

	for customer in (15747, 17507):
		if customer != 15747:
			page.choose("customer", str(customer))
		expected = recommended(database, customer)
		yield f"customer {customer} is shown {len(expected)} recommendations, in order", \
			None if expected and shows(page, expected) else "others are shown"


def take_picture(page, path):
	page.open("recommender")
	time.sleep(8)  # legends and bars come in by animation
	page.driver.save_screenshot(str(path))
	Image.open(path).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
	return None if path.stat().st_size < 300_000 else f"{path.stat().st_size} bytes"


def main():
	dashboard, picture = map(pathlib.Path, sys.argv[1:])
	database = sqlalchemy.create_engine(os.environ["BI_DATABASE"]).connect()
	page = Page(os.environ["BI_ADDRESS"])
	failed = 0

	def tell(what, wrong):
		nonlocal failed
		failed += wrong is not None
		print(f"ok      {what}" if wrong is None else f"FAILED  {what}: {wrong}", flush=True)

	try:
		for what, wrong in checks(page, dashboard, database):
			tell(what, wrong)
		tell("a picture of it, under 300 kB", take_picture(page, picture))
	finally:
		page.driver.quit()
	return failed > 0


sys.exit(main())
